"""PortfolioService: accounts, positions, balances, profit and loss."""
