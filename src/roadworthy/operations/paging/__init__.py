"""What joins pages to the rest: links that stop an AI, PagerDuty's word, test pages as evidence."""
