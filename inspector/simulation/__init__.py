"""The belt simulator: the shipping line and ejector on a simulated belt, faster than real time, with seeded faults."""
