"""ScannerService: contracts found by what the market does."""
