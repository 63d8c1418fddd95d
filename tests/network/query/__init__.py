"""Asking servers what they have."""
