module target

go 1.20
