"""What the web book is made of besides its chapters: settings, formulas, style."""
