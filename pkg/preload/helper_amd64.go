package preload

import _ "embed" // for the helper

//go:embed helper_amd64.so
var helper string
