"""Tensors in safetensors files: headers, values, hashes."""
