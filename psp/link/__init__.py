"""Links: encrypted sessions between neighbours, over UDP."""
