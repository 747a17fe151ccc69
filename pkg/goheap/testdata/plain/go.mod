module plain

go 1.20
