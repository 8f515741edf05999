import io.grpc.ClientInterceptors;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.MetadataUtils;
import java.security.SecureRandom;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import postq.v1.JobOuterClass.Job;
import postq.v1.JobOuterClass.JobSpec;
import postq.v1.JobOuterClass.TaskSpec;
import postq.v1.JobServiceGrpc;
import postq.v1.JobServiceGrpc.JobServiceBlockingStub;
import postq.v1.JobServiceOuterClass.GetJobRequest;
import postq.v1.JobServiceOuterClass.SubmitJobRequest;
import postq.v1.JobServiceOuterClass.WatchJobRequest;

/** Submits a job of two tasks, watches it to its end, and prints what its tasks wrote. */
public final class Submit {
    private static final String ADDRESS = System.getenv().getOrDefault("POSTQ_ADDRESS", "localhost:7432");

    public static void main(String[] arguments) throws InterruptedException {
        ManagedChannel channel = ManagedChannelBuilder.forTarget(ADDRESS).usePlaintext().build();
        try {
            Metadata headers = new Metadata();
            String token = System.getenv("POSTQ_TOKEN");
            if (token != null) {
                headers.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + token);
            }
            run(JobServiceGrpc.newBlockingStub(
                    ClientInterceptors.intercept(channel, MetadataUtils.newAttachHeadersInterceptor(headers))));
        } finally {
            channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
        }
    }

    private static void run(JobServiceBlockingStub jobs) throws InterruptedException {
        String id = submit(jobs);
        System.out.println("submitted " + id);
        watch(jobs, id);
        // The job with its tasks. Of a job too large for one answer (tasks_truncated) ListTasks tells all.
        Job job = within(jobs, 10).getJob(GetJobRequest.newBuilder().setId(id).build()).getJob();
        for (String name : List.of("greet", "shout")) {
            System.out.print(name + " wrote: " + job.getTasksOrThrow(name).getResults());
        }
        if (job.getState() != Job.State.SUCCEEDED) {
            throw new IllegalStateException("the job " + job.getState() + ": " + job.getReason());
        }
    }

    private static JobServiceBlockingStub within(JobServiceBlockingStub jobs, int seconds) {
        return jobs.withWaitForReady().withDeadlineAfter(seconds, TimeUnit.SECONDS);
    }

    /** The id is ours, so that a submit whose answer was lost can be sent again without a second job. */
    private static String submit(JobServiceBlockingStub jobs) throws InterruptedException {
        JobSpec job = JobSpec.newBuilder()
                .setName("from-java")
                .putTasks("greet", TaskSpec.newBuilder()
                        .setCommand("echo hello from java | tee greeting").build())
                .putTasks("shout", TaskSpec.newBuilder()
                        .addDepends("greet").setCommand("tr a-z A-Z < greeting").build())
                .build();
        SubmitJobRequest request = SubmitJobRequest.newBuilder().setId(newId()).setJob(job).build();
        while (true) {
            try {
                return within(jobs, 10).submitJob(request).getId();
            } catch (StatusRuntimeException broken) {
                pauseIfItPasses(broken);
            }
        }
    }

    /** Prints every change until the job has ended; goes on where it was when the stream breaks. */
    private static void watch(JobServiceBlockingStub jobs, String id) throws InterruptedException {
        long revision = 0;
        while (true) {
            var request = WatchJobRequest.newBuilder().setId(id).setAfterRevision(revision).build();
            try {
                var changes = within(jobs, 60).watchJob(request);
                while (changes.hasNext()) {
                    var change = changes.next();
                    change.getTasksList().forEach(
                            task -> System.out.println("task " + task.getName() + " " + task.getState()));
                    if (!change.getComplete()) {
                        continue;
                    }
                    revision = change.getRevision();
                    System.out.println("job " + change.getJob().getState());
                    if (change.getJob().hasFinishedAt()) {
                        return;
                    }
                }
            } catch (StatusRuntimeException broken) {
                pauseIfItPasses(broken);
            }
        }
    }

    private static void pauseIfItPasses(StatusRuntimeException broken) throws InterruptedException {
        if (broken.getStatus().getCode() != Status.Code.UNAVAILABLE) {
            throw broken;
        }
        Thread.sleep(500);
    }

    /** A UUID of version 7: milliseconds, then chance. */
    private static String newId() {
        SecureRandom chance = new SecureRandom();
        long high = System.currentTimeMillis() << 16 | 0x7000 | chance.nextInt(1 << 12);
        long low = chance.nextLong() & 0x3fffffffffffffffL | 0x8000000000000000L;
        return new UUID(high, low).toString();
    }
}
