"""What people decide at a site, beside what the line judged: feedback, challenges, and the audit log of both."""
