// Package postq holds two programs that speak to PostQ: submit and worker. Their stubs are in gen/.
package postq

//go:generate ../../../scripts/proto.sh buf generate ../../../proto
