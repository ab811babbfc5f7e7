"""Importers: published corpora and folders of recordings become manifests."""
