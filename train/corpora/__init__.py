"""Published corpora, and folders of one's own, as manifests."""
