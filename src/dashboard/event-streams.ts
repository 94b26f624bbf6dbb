/** Sends the samples of all queues to open pages, as server-sent events. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { RequestError } from './answers.js'
import type { Point } from './count-history.js'
import type { Sample, Sampler } from './sampler.js'
import { shownSample } from './shown-sample.js'

const maxStreams = 100

/** Proxies end connections that are silent; a browser that is gone without a word is noticed. Milliseconds. */
const keepAliveMs = 15_000

export class EventStreams {
  readonly #samplers: readonly Sampler[]
  readonly #streams = new Set<ServerResponse>()
  /** Of the last sample of each queue: made once for all pages. */
  readonly #texts = new WeakMap<Sample, string>()

  constructor(samplers: readonly Sampler[]) {
    this.#samplers = samplers
  }

  /** Number of open pages. */
  get size(): number {
    return this.#streams.size
  }

  /** Sends the history, then each sample, until the page is closed. */
  open(request: IncomingMessage, response: ServerResponse): void {
    if (this.#streams.size >= maxStreams) throw new RequestError(503, `${maxStreams} pages are open already`)
    // nginx would collect what is to be sent at once.
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' })
    this.#streams.add(response)
    response.write('retry: 2000\n\n')
    const ends = this.#samplers.map((sampler, index) => {
      const { points, last } = sampler
      response.write(event('history', { queue: index, points }))
      if (last !== undefined) response.write(this.#sampleEvent(index, last))
      return sampler.listen((sample, point) => {
        // A page that reads slowly misses samples: they would fill the memory here.
        if (!response.writableNeedDrain) response.write(this.#sampleEvent(index, sample, point))
      })
    })
    const keepAlive = setInterval(() => response.write(': open\n\n'), keepAliveMs)
    keepAlive.unref()
    request.once('close', () => response.end())
    response.once('close', () => {
      clearInterval(keepAlive)
      for (const end of ends) end()
      this.#streams.delete(response)
    })
  }

  /** Ends all streams. */
  close(): void {
    for (const response of this.#streams) response.end()
  }

  #sampleEvent(queue: number, sample: Sample, point?: Point): string {
    const known = this.#texts.get(sample)
    if (known !== undefined && point !== undefined) return known
    const text = event('sample', { queue, point, ...shownSample(sample) })
    if (point !== undefined) this.#texts.set(sample, text)
    return text
  }
}

function event(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
}
