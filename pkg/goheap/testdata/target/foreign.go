//go:build !foreign

package main

func foreign() {}
