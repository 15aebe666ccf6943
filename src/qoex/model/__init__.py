"""The market as data: users, providers, their QoE and work models, and what capacities suffice."""
