//! Ids to text: one call, and a stream of single ids.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use penstock::tokenizer::DecodeStream;
use penstock_benches::{SIZES, subjects, texts};

fn decode(c: &mut Criterion) {
    let texts = texts();
    for subject in subjects() {
        let mut group = c.benchmark_group(format!("decode/{}", subject.name));
        for text in texts.iter().take(3) {
            subject.check(&text.text);
            for size in SIZES {
                let text_of_size = text.prefix(size);
                let ids = subject.tokenizer.encode_ids(text_of_size, false).expect("ids");
                group.throughput(Throughput::Bytes(text_of_size.len() as u64));
                group.bench_with_input(BenchmarkId::new(text.name, size), &ids, |b, ids| {
                    b.iter(|| subject.tokenizer.decode(ids, false));
                });
            }
        }
    }
}

fn stream(c: &mut Criterion) {
    let texts = texts();
    for subject in subjects() {
        let mut group = c.benchmark_group(format!("stream/{}", subject.name));
        for text in texts.iter().take(3) {
            let ids = subject.tokenizer.encode_ids(text.prefix(SIZES[1]), false).expect("ids");
            group.throughput(Throughput::Elements(ids.len() as u64));
            group.bench_with_input(BenchmarkId::new(text.name, SIZES[1]), &ids, |b, ids| {
                b.iter(|| {
                    let mut stream = DecodeStream::new(false);
                    for &id in ids {
                        std::hint::black_box(stream.step(&subject.tokenizer, &[id]).expect("text"));
                    }
                });
            });
        }
    }
}

criterion_group!(benches, decode, stream);
criterion_main!(benches);
