"""What the library costs, measured beside what people use today. Run `python -m benchmarks`."""
