"""Foreign systems that we play ourselves: separate processes that speak only their own protocol (README.md)."""
