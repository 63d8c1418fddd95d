"""Tests of queries and storage commitment."""
