from .page import write_evaluation_report, write_report

__all__ = ["write_evaluation_report", "write_report"]
