"""What must hold for any text, on generated text."""
