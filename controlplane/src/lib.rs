//! The control plane: documents, budgets, policies, xDS.
