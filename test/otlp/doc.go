// Package otlp holds the push of OTLP profiles against a real OpenTelemetry Collector. The messages are in development
// and change without a version of their own, so the versions on both sides are pinned. It is a module of its own
// because the collector is large: the first build takes minutes.
package otlp
