/**
 * Registers an SDK of OpenTelemetry in each thread of a process that imports this file before all others; spans are appended to the file
 * that `PTQ_TEST_SPANS` names.
 */
import { appendFileSync } from 'node:fs'
import { threadId } from 'node:worker_threads'
import { BatchSpanProcessor, NodeTracerProvider, type SpanExporter } from '@opentelemetry/sdk-trace-node'
import { type ShownSpan, shown } from './shown-span.js'

/** A span as it is written to the file. */
export type WrittenSpan = ShownSpan & { readonly pid: number; readonly thread: number }

const file = process.env.PTQ_TEST_SPANS
if (file === undefined) throw new Error('Expected PTQ_TEST_SPANS to name a file')

const exporter: SpanExporter = {
  export: (spans, done) => {
    const lines = spans.map(span => `${JSON.stringify({ ...shown(span), pid: process.pid, thread: threadId })}\n`)
    appendFileSync(file, lines.join(''))
    done({ code: 0 })
  },
  shutdown: () => Promise.resolve(),
}

// In batches, as exporters to servers are used: spans of a thread that ends must not be lost with it.
new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporter)] }).register()
