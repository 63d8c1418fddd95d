"""Tests of documents, manifest, layers and test helpers."""
