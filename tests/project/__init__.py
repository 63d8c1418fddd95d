"""Tests of what surrounds the code: documents, manifest, layers and helpers."""
