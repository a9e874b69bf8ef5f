"""The parity workbench: comparing images, traces and structure factors of two engines."""
