package preload

import _ "embed" // for the helper

//go:embed helper_arm64.so
var helper string
