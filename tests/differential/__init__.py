"""The same input to penstock and to a reference, field by field."""
