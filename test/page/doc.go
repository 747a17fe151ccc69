// Package page drives the page in headless Chromium, against the daemon that profiles programs of this machine, against
// files that it made, and against a feed that says what no daemon would. The tests wait for what must come to be, and
// every one of them fails on an error in the console, on a violated policy and on a request to anybody else.
package page
