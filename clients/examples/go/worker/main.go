// A minimal worker: an agent without executors, whose handlers are Go functions.
//
// It keeps nothing on disk, so each start of it is a new agent; what an earlier one was doing is
// declared lost, and given to somebody else.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	pb "example.org/postq/gen/postq/v1"
)

// handlers are what this worker can do: arguments in, a JSON value out.
var handlers = map[string]func(context.Context, any) (any, error){
	"go.sum":  sum,
	"go.wait": wait,
}

func sum(_ context.Context, arguments any) (any, error) {
	document, _ := arguments.(map[string]any)
	numbers, ok := document["numbers"].([]any)
	if !ok {
		return nil, final{errors.New("numbers: a list is wanted")}
	}
	total := 0.0
	for _, number := range numbers {
		value, ok := number.(float64)
		if !ok {
			return nil, final{errors.New("numbers: only numbers")}
		}
		total += value
	}
	return map[string]any{"sum": total}, nil
}

func wait(ctx context.Context, arguments any) (any, error) {
	document, _ := arguments.(map[string]any)
	seconds, _ := document["seconds"].(float64)
	select {
	case <-time.After(time.Duration(seconds * float64(time.Second))):
		return map[string]any{"waited": seconds}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// errLeaving ends what has not ended when this worker has to.
var errLeaving = errors.New("the worker leaves")

// final marks an error that trying again cannot mend.
type final struct{ error }

func main() {
	address := os.Getenv("POSTQ_ADDRESS")
	if address == "" {
		address = "localhost:7432"
	}
	// A peer that is gone without a word is noticed by pings.
	pings := keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}
	// Agents have three seconds to come back before their attempts are declared lost.
	retries := backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}
	connection, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithKeepaliveParams(pings),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: retries, MinConnectTimeout: 3 * time.Second}))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	leave, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	newWorker(pb.NewDispatchServiceClient(connection), os.Getenv("POSTQ_TOKEN")).run(leave)
}

// call runs the handler of an assignment and says how that ended.
func call(ctx context.Context, assignment *pb.Assignment) *pb.Report {
	report := &pb.Report{Outcome: pb.Attempt_FAILED, Of: of(assignment)}
	handler := handlers[assignment.Handler]
	if handler == nil || assignment.Input != nil {
		report.Reason, report.IsFinal = "this worker has no such handler, or no files for it", true
		return report
	}
	value, err := handler(ctx, assignment.Arguments.AsInterface())
	if err == nil {
		report.Result, err = json.Marshal(value)
	}
	switch {
	case err == nil:
		report.Outcome = pb.Attempt_SUCCEEDED
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		report.Outcome, report.Reason = pb.Attempt_TIMED_OUT, "over its time"
	case errors.Is(context.Cause(ctx), errLeaving):
		report.Outcome, report.Reason = pb.Attempt_RELEASED, errLeaving.Error()
	case ctx.Err() != nil:
		report.Outcome, report.Reason = pb.Attempt_CANCELLED, context.Cause(ctx).Error()
	default:
		report.Reason = err.Error()
		report.IsFinal = errors.As(err, new(final))
	}
	return report
}

func of(assignment *pb.Assignment) *pb.Held {
	return &pb.Held{Attempt: assignment.Attempt, JobId: assignment.JobId, Task: assignment.Task}
}
