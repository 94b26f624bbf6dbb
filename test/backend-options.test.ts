import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SQSClientConfig } from '@aws-sdk/client-sqs'
import { registerBackend, type SqsSettings, TaskQueue, type TaskQueueOptions } from 'ptq'

/** Settings of the SDK that make no sense for a queue, or are internal to the SDK. */
type Internal =
  | 'base64Decoder'
  | 'base64Encoder'
  | 'bodyLengthChecker'
  | 'protocol'
  | 'protocolSettings'
  | 'runtime'
  | 'serviceConfiguredEndpoint'
  | 'serviceId'
  | 'streamCollector'
  | 'urlParser'
  | 'utf8Decoder'
  | 'utf8Encoder'

// Compiles only while every setting of the SDK is either handed on or internal.
const missing: Exclude<keyof SQSClientConfig, keyof SqsSettings | Internal>[] = [] satisfies never[]

const given = (options: object) => options as TaskQueueOptions

for (const [url, options, message] of [
  [
    './q',
    { durabel: true },
    /Expected options of a fq:\/\/ queue \(concurrency, progress, durable, .*got `durabel`\. Did you mean `durable`\?$/,
  ],
  ['fq:///q', { region: 'eu-west-1' }, /of a fq:\/\/ queue .* got `region`$/],
  ['sqs://q', { regoin: 'eu-west-1' }, /settings of the SQSClient\), got `regoin`\. Did you mean `region`\?$/],
  ['mem://q', { durable: true }, /of a mem:\/\/ queue \(concurrency, progress, clock\), got `durable`$/],
] as const) {
  test(`a queue at ${url} refuses the option ${Object.keys(options)}`, () => {
    assert.throws(() => new TaskQueue(url, given(options)), message)
  })
}

test('a queue on SQS accepts settings of the SDK; a registered kind accepts any option', async () => {
  registerBackend('any-option', {
    open: async (_url, { shards }) => {
      throw new Error(`shards: ${shards}`)
    },
  })
  assert.deepEqual(missing, [])
  await new TaskQueue('sqs://q', { profile: 'work', maxAttempts: 5 }).close()
  await using queue = new TaskQueue('any-option://q', { shards: 3 })
  await assert.rejects(queue.status(), /shards: 3/)
})
