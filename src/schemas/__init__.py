"""JSON schemas: derived from Python types, made strict, and held against an answer."""
