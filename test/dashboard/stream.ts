/** The stream of samples that a page opens. */
import { get } from 'node:http'
import type { Served } from './served.js'

/** A sample as pages get it; the parts that tests look at. */
export interface PageSample {
  readonly queue: number
  readonly problem?: string
  readonly isMissing: boolean
  readonly counts?: {
    readonly approximate: boolean
    readonly waiting: number
    readonly enqueued: number
    readonly messages?: number
    readonly running: number
    readonly failed: number | null
    readonly inserted: number | null
    readonly completed: number | null
  }
}

/** Opens a stream, and passes each sample to `listener`. @returns what closes it */
export function openStream(served: Served, cookie: string, listener: (sample: PageSample) => void): () => void {
  const sent = get(`${served.url}events`, { headers: { Cookie: cookie } }, response => {
    let text = ''
    response.setEncoding('utf8').on('data', (part: string) => {
      text += part
      const events = text.split('\n\n')
      text = events.pop() ?? ''
      for (const event of events) {
        const data = /^event: sample\ndata: (.*)$/s.exec(event)?.[1]
        if (data !== undefined) listener(JSON.parse(data))
      }
    })
  })
  sent.on('error', error => {
    if (!sent.destroyed) throw error
  })
  return () => void sent.destroy()
}

/** Resolves with the first sample of a queue for which `holds`. */
export function sampleWhere(
  served: Served,
  cookie: string,
  queue: number,
  holds: (sample: PageSample) => boolean,
): Promise<PageSample> {
  return new Promise(resolve => {
    const close = openStream(served, cookie, sample => {
      if (sample.queue !== queue || !holds(sample)) return
      close()
      resolve(sample)
    })
  })
}
