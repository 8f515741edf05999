// Submits a job of two tasks, watches it to its end, and prints what its tasks wrote.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "example.org/postq/gen/postq/v1"
)

func main() {
	log.SetFlags(0)
	address := os.Getenv("POSTQ_ADDRESS")
	if address == "" {
		address = "localhost:7432"
	}
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	if token := os.Getenv("POSTQ_TOKEN"); token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	if err := run(ctx, pb.NewJobServiceClient(connection)); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, jobs pb.JobServiceClient) error {
	id, err := submit(ctx, jobs)
	if err != nil {
		return err
	}
	fmt.Println("submitted", id)
	if err := watch(ctx, jobs, id); err != nil {
		return err
	}
	// The job with its tasks. Of a job too large for one answer (TasksTruncated) ListTasks tells all.
	answer, err := jobs.GetJob(ctx, &pb.GetJobRequest{Id: id}, grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	for _, name := range []string{"greet", "shout"} {
		fmt.Printf("%s wrote: %s", name, answer.Job.Tasks[name].GetResults())
	}
	if answer.Job.State != pb.Job_SUCCEEDED {
		return fmt.Errorf("the job %s: %s", answer.Job.State, answer.Job.Reason)
	}
	return nil
}

// The id is ours, so that a submit whose answer was lost can be sent again without a second job.
func submit(ctx context.Context, jobs pb.JobServiceClient) (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", err
	}
	request := &pb.SubmitJobRequest{Id: id.String(), Job: &pb.JobSpec{
		Name: "from-go",
		Tasks: map[string]*pb.TaskSpec{
			"greet": {Command: "echo hello from go | tee greeting"},
			"shout": {Depends: []string{"greet"}, Command: "tr a-z A-Z < greeting"},
		},
	}}
	for {
		answer, err := jobs.SubmitJob(ctx, request, grpc.WaitForReady(true))
		if err == nil {
			return answer.Id, nil
		}
		if status.Code(err) != codes.Unavailable {
			return "", err
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// Prints every change until the job has ended; goes on where it was when the stream breaks.
func watch(ctx context.Context, jobs pb.JobServiceClient, id string) error {
	var revision int64
	for {
		request := &pb.WatchJobRequest{Id: id, AfterRevision: revision}
		changes, err := jobs.WatchJob(ctx, request, grpc.WaitForReady(true))
		for err == nil {
			var change *pb.WatchJobResponse
			if change, err = changes.Recv(); err != nil {
				break
			}
			for _, task := range change.Tasks {
				fmt.Println("task", task.Name, task.State)
			}
			if change.Complete {
				revision = change.Revision
				fmt.Println("job", change.Job.State)
				if change.Job.FinishedAt != nil {
					return nil
				}
			}
		}
		// The end of a stream is io.EOF, which has no code of its own: then ask again as well.
		if code := status.Code(err); code != codes.Unavailable && code != codes.Unknown {
			return err
		}
		time.Sleep(500 * time.Millisecond)
	}
}
