export type {
  Backend,
  BackendOpener,
  BackendOptions,
  Capabilities,
  Counts,
  QueueUrl,
  WorkerStatus,
} from './backend/backend.js'
export type { BatchFailure, Failure, Lease, ListedMessage, Message, MessageState } from './backend/messages.js'
export { tasksOfMessage } from './backend/pack-ids.js'
export type { ResultPage, ResultSink } from './backend/result-sink.js'
export type { UploadHead, UploadState, Uploads } from './backend/uploads.js'
export type { MemOptions } from './backends/mem/index.js'
export type { PostgresClient, PostgresOptions, PostgresPool } from './backends/postgres/options.js'
export type { RedisClient, RedisOptions } from './backends/redis/options.js'
export type { CommandOptions } from './commands/command-options.js'
export type { OutputPiece } from './commands/log-reader.js'
export {
  type FailedSlice,
  InsertError,
  LeaseLostError,
  MessageRefusedError,
  TaskError,
  UnregisteredTaskError,
  UnsupportedOperationError,
  UnsupportedProtocolError,
} from './errors/errors.js'
export { type NanPolicy, parseJson, stringifyJson } from './json/json.js'
export type { JsonValue } from './json/json-value.js'
export type {
  LocalTaskQueueOptions,
  MapOptions,
  ResultsOptions,
  RunCallOptions,
  RunOneOptions,
} from './local/local-options.js'
export type { TaskProgress } from './local/local-run.js'
export { LocalTaskQueue } from './local/local-task-queue.js'
export { MockTaskQueue } from './local/mock-task-queue.js'
export type { Result } from './local/result-buffer.js'
export type { BackoffException, PollOptions, PollState } from './poll/poll-options.js'
export type { TaskEvent, WorkerEventMap, WorkerEvents } from './poll/worker-events.js'
export type {
  FileQueueSettings,
  MemSettings,
  OptionsOf,
  PostgresSettings,
  RedisSettings,
  SqsSettings,
} from './queue/backend-options.js'
export type { MoveResult } from './queue/move-messages.js'
export { type RegisterBackendOptions, registerBackend } from './queue/open-backend.js'
export type { LeasedTask, ListedTask, PlaceInPack, QueuedTask } from './queue/queued-task.js'
export type { RetryOptions } from './queue/retry-dead-letters.js'
export type { QueueMapOptions, RunResultsOptions } from './queue/run-results.js'
export type { InsertOptions, LeaseOptions, QueueStatus, TaskQueueOptions } from './queue/task-queue-options.js'
export type { TransferOptions } from './queue/transfer.js'
export type { RunResult } from './results/read-results.js'
export { TaskQueue } from './task-queue.js'
export type { BoundFunction } from './tasks/bound-function.js'
export { context, type TaskContext } from './tasks/context.js'
export { type Box, type GridOptions, grid, type TaskGrid } from './tasks/grid.js'
export type { JsonSafe, NotJson } from './tasks/json-safe.js'
export { partial } from './tasks/partial.js'
export type { ClassPayload, FunctionKey, FunctionPayload, Payload } from './tasks/payload.js'
export { range, type TaskRange } from './tasks/range.js'
export {
  type QueueableOptions,
  queueable,
  type RegisterTaskOptions,
  registerTask,
  type TaskClass,
} from './tasks/registry.js'
export { type Sliceable, type SliceableClass, type SliceableOptions, sliceable } from './tasks/sliceable.js'
export {
  type BareTask,
  FunctionTask,
  type OpenTask,
  RegisteredTask,
  type Task,
  type TaskInput,
  type TaskResult,
} from './tasks/task.js'
export { taskFromPayload } from './tasks/task-payload.js'
export type { TaskIterable } from './tasks/task-source.js'
export { move } from './tasks/transferables.js'
export type { Clock } from './time/clock.js'
