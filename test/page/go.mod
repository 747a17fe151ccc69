module github.com/ebpfprof/ebpfprof/test/page

go 1.26.7

replace github.com/ebpfprof/ebpfprof => ../..

require (
	github.com/chromedp/cdproto v0.159.0
	github.com/chromedp/chromedp v0.23.0
	github.com/ebpfprof/ebpfprof v0.0.0-00010101000000-000000000000
	github.com/google/pprof v0.0.0-20261016150608-1facf8f91b50
)

require github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
