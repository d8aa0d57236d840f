//! The embedded default: logs, spans and metrics kept and searched inside the agent.
