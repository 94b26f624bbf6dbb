/** Storage of the outcomes of tasks, for the callers that requested them. Types only. */

/** Some records of a run. */
export interface ResultPage {
  /** As they were appended. Empty where there is nothing new. */
  readonly records: readonly string[]
  /** The position after these records, for the next `read`; opaque, and of this process alone. */
  readonly cursor: unknown
}

/**
 * Keeps records of named runs. A record is a line of JSON, opaque to the backend. What `append` accepted is read by every reader that began
 * before or after, at least once: a reader recognises repeated records by itself. There is no order.
 */
export interface ResultSink {
  /**
   * Stores records. When it resolves they survive the death of this process. If it rejects, some may have been stored:
   * they are appended again.
   *
   * @param run letters, digits, `.`, `-` and `_`, at most 100, the first no `.`
   * @param writer distinguishes this process, and this worker in it, from every other one
   */
  append(run: string, writer: string, records: readonly string[]): Promise<void>
  /** Reads some megabytes of records at most. @param cursor of the page before; `undefined`: from the first record on */
  read(run: string, cursor: unknown): Promise<ResultPage>
  /** The names of all runs that have records. */
  runs(): Promise<readonly string[]>
  /** Removes the records of a run; a run without records is no error. */
  drop(run: string): Promise<void>
}
