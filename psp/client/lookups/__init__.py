"""Looking users up: circuits that stand ready, evidence, the verdict."""
