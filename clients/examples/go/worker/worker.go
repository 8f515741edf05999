package main

import (
	"context"
	"errors"
	"log"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"

	pb "example.org/postq/gen/postq/v1"
)

const (
	slots = 4
	// How long what runs may go on once this worker is asked to leave, unless Drain tells.
	patience = 10 * time.Second
)

// attempt is one that is held: it runs until report is set, then waits to be recorded.
type attempt struct {
	of     *pb.Held
	stop   context.CancelCauseFunc
	report *pb.Report
}

type worker struct {
	dispatch pb.DispatchServiceClient
	token    string
	id, boot string

	mutex    sync.Mutex
	held     map[int64]*attempt
	patience time.Duration
	// Asks this worker to leave, as SIGTERM does.
	leaveNow context.CancelFunc
	// What is to be said on the current stream, in this order. A new stream starts with a new one.
	outbox chan *pb.ConnectRequest
	// Told when held has become smaller.
	fewer chan struct{}
}

func newWorker(dispatch pb.DispatchServiceClient, token string) *worker {
	return &worker{
		dispatch: dispatch, token: token, id: uuid.NewString(), boot: uuid.NewString(),
		held: map[int64]*attempt{}, patience: patience, fewer: make(chan struct{}, 1),
	}
}

// run connects again and again. Once it is asked to leave it takes nothing new, and returns when all that
// it held is recorded.
func (w *worker) run(asked context.Context) {
	leave, leaveNow := context.WithCancel(asked)
	defer leaveNow()
	w.leaveNow = leaveNow
	always, end := context.WithCancel(context.Background())
	defer end()
	context.AfterFunc(leave, func() {
		w.mutex.Lock()
		defer w.mutex.Unlock()
		time.AfterFunc(w.patience, w.release)
	})
	pause := 100 * time.Millisecond
	for leave.Err() == nil || w.holds() > 0 {
		welcomed, err := w.stream(always, leave)
		if leave.Err() != nil && err == nil {
			continue
		}
		if welcomed {
			pause = 100 * time.Millisecond
		}
		log.Printf("the stream ended: %v; trying again", err)
		time.Sleep(time.Duration((0.5 + rand.Float64()/2) * float64(pause)))
		pause = min(2*pause, 2*time.Second)
	}
}

// release gives back what has not ended in time.
func (w *worker) release() {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for _, held := range w.held {
		held.stop(errLeaving)
	}
}

func (w *worker) holds() int {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return len(w.held)
}

// stream is one session, from Hello until the stream breaks (an error), or until it is to be replaced
// by one that says that we leave, or there is nothing left to stay for (none).
func (w *worker) stream(always, leave context.Context) (welcomed bool, err error) {
	ctx, stop := context.WithCancel(always)
	defer stop()
	if w.token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+w.token)
	}
	stream, err := w.dispatch.Connect(ctx)
	if err != nil {
		return false, err
	}
	outbox := w.greet(leave.Err() != nil)
	go func() {
		defer stop()
		for {
			select {
			case message := <-outbox:
				if stream.Send(message) != nil {
					return // Recv tells why.
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	words, broken := make(chan *pb.ConnectResponse), make(chan error, 1)
	go func() {
		for {
			word, err := stream.Recv()
			if err != nil {
				broken <- err
				return
			}
			select {
			case words <- word:
			case <-ctx.Done():
				return
			}
		}
	}()
	leaving := leave.Done()
	if leave.Err() != nil {
		leaving = nil
	}
	for {
		select {
		case word := <-words:
			welcomed = true
			w.hear(word)
		case err := <-broken:
			return welcomed, err
		case <-leaving:
			return welcomed, nil
		case <-w.fewer:
			if leave.Err() != nil && w.holds() == 0 {
				return welcomed, nil
			}
		}
	}
}

// greet starts a new outbox with who we are, what we hold, and the reports nobody has confirmed.
func (w *worker) greet(isLeaving bool) chan *pb.ConnectRequest {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	host, _ := os.Hostname()
	hello := &pb.Hello{
		AgentId: w.id, BootId: w.boot, Name: "go-worker", Host: host, Version: "1", Slots: slots,
		Held: w.heldNow(),
	}
	if isLeaving {
		hello.Slots = 0
	}
	for name := range handlers {
		hello.Handlers = append(hello.Handlers, name)
	}
	// Room for all that can be said between two looks of the sender.
	w.outbox = make(chan *pb.ConnectRequest, 1024)
	w.outbox <- &pb.ConnectRequest{Message: &pb.ConnectRequest_Hello{Hello: hello}}
	for _, held := range w.held {
		if held.report != nil {
			w.say(held.report)
		}
	}
	return w.outbox
}

func (w *worker) heldNow() (all []*pb.Held) {
	for _, held := range w.held {
		all = append(all, held.of)
	}
	return all
}

func (w *worker) say(report *pb.Report) {
	select {
	case w.outbox <- &pb.ConnectRequest{Message: &pb.ConnectRequest_Report{Report: report}}:
	default: // The stream does not move. It is said again on the next.
	}
}

func (w *worker) hear(word *pb.ConnectResponse) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	switch word := word.Message.(type) {
	case *pb.ConnectResponse_Welcome:
		log.Printf("connected, session %d", word.Welcome.Session)
	case *pb.ConnectResponse_Assignment:
		w.begin(word.Assignment)
	case *pb.ConnectResponse_Cancel:
		if held := w.held[word.Cancel.Attempt]; held != nil {
			held.stop(errors.New(word.Cancel.Reason))
		}
	case *pb.ConnectResponse_Abandon:
		w.forget(word.Abandon.Attempt)
	case *pb.ConnectResponse_Recorded:
		w.forget(word.Recorded.Attempt)
	case *pb.ConnectResponse_Drain:
		if word.Drain.Timeout != nil {
			w.patience = word.Drain.Timeout.AsDuration()
		}
		w.leaveNow()
	case *pb.ConnectResponse_WhatDoYouHold:
		answer := &pb.Holding{Question: word.WhatDoYouHold.Question, Held: w.heldNow()}
		select {
		case w.outbox <- &pb.ConnectRequest{Message: &pb.ConnectRequest_Holding{Holding: answer}}:
		default:
		}
	}
}

func (w *worker) begin(assignment *pb.Assignment) {
	if w.held[assignment.Attempt] != nil {
		return
	}
	ctx, stop := context.WithCancelCause(context.Background())
	held := &attempt{of: of(assignment), stop: stop}
	w.held[assignment.Attempt] = held
	log.Printf("%s: attempt %d", assignment.Handler, assignment.Attempt)
	go func() {
		if assignment.Timeout != nil {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, assignment.Timeout.AsDuration())
			defer cancel()
		}
		report := call(ctx, assignment)
		w.mutex.Lock()
		defer w.mutex.Unlock()
		if w.held[assignment.Attempt] == held { // else it was abandoned
			held.report = report
			w.say(report)
		}
	}()
}

// forget ends the matter; what still runs is stopped, and its report dropped.
func (w *worker) forget(id int64) {
	held := w.held[id]
	if held == nil {
		return
	}
	held.stop(errors.New("abandoned"))
	delete(w.held, id)
	select {
	case w.fewer <- struct{}{}:
	default:
	}
}
