"""Transforms: they change or drop an output's lines before its batches are formed."""
