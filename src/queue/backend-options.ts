/**
 * The options of each backend, by protocol: known before a backend is loaded, so that a misspelt option is refused by
 * the constructor. Registered backends check their own options.
 */
import type { FileQueueOptions } from '../backends/fq/index.js'
import type { MemOptions } from '../backends/mem/index.js'
import type { PostgresOptions } from '../backends/postgres/options.js'
import type { RedisOptions } from '../backends/redis/options.js'
import type { SqsOptions } from '../backends/sqs/options.js'
import { nearest } from '../text/nearest.js'
import type { TaskQueueOptions } from './task-queue-options.js'

/** The declared properties of a type that also has an index signature. */
type Declared<T> = { [Key in keyof T as string extends Key ? never : Key]: T[Key] }

/** Settings of the AWS SDK's `SQSClient` that are passed on unchanged (version 3.1169). */
const sdkSettings = [
  'apiVersion',
  'authSchemePreference',
  'cacheMiddleware',
  'credentialDefaultProvider',
  'credentials',
  'customUserAgent',
  'defaultUserAgentProvider',
  'defaultsMode',
  'disableClockSkewCorrection',
  'disableHostPrefix',
  'endpointProvider',
  'extensions',
  'httpAuthSchemeProvider',
  'httpAuthSchemes',
  'ignoreConfiguredEndpointUrls',
  'logger',
  'maxAttempts',
  'md5',
  'profile',
  'requestHandler',
  'retryMode',
  'retryStrategy',
  'sha256',
  'signer',
  'signerConstructor',
  'signingEscapePath',
  'signingRegion',
  'systemClockOffset',
  'tls',
  'useDualstackEndpoint',
  'useFipsEndpoint',
  'useQueueUrlAsEndpoint',
  'userAgentAppId',
] as const

/** Options of a queue in a directory: those of every queue, and `durable`. */
export type FileQueueSettings = Declared<TaskQueueOptions & FileQueueOptions>
/** Options of a queue on SQS; settings of the AWS SDK's `SQSClient` are passed on. */
export type SqsSettings = Declared<TaskQueueOptions & SqsOptions> & {
  readonly [Name in (typeof sdkSettings)[number]]?: unknown
}
/** Options of a queue in memory. */
export type MemSettings = Declared<TaskQueueOptions & MemOptions>

/** Options of a queue in PostgreSQL. Others are refused at run time, not by the type: users may have registered `postgres://`. */
export type PostgresSettings = TaskQueueOptions & PostgresOptions
/** Options of a queue on a Redis or Valkey server; others are refused at run time, for the same reason. */
export type RedisSettings = TaskQueueOptions & RedisOptions

/** The options that a queue of this URL takes; of a protocol that is not known here, any. */
export type OptionsOf<Url extends string> = string extends Url
  ? TaskQueueOptions
  : Url extends `sqs://${string}` | `https://${string}` | `http://${string}`
    ? SqsSettings
    : Url extends `mem://${string}`
      ? MemSettings
      : Url extends `fq://${string}`
        ? FileQueueSettings
        : Url extends `postgres://${string}` | `postgresql://${string}`
          ? PostgresSettings
          : Url extends `redis://${string}` | `rediss://${string}` | `valkey://${string}`
            ? RedisSettings
            : Url extends `${string}://${string}`
              ? TaskQueueOptions
              : FileQueueSettings

const general = ['concurrency', 'progress'] as const satisfies readonly (keyof TaskQueueOptions)[]

const postgresOptions = ['pool', 'client', 'retrySeconds'] satisfies readonly (keyof Declared<PostgresOptions>)[]

const redisOptions = ['client', 'retrySeconds'] satisfies readonly (keyof Declared<RedisOptions>)[]

const namesOf: Readonly<Record<string, readonly string[]>> = {
  fq: ['durable', 'fileSystem', 'hostNowMs'] satisfies readonly (keyof FileQueueSettings)[],
  mem: ['clock'] satisfies readonly (keyof MemSettings)[],
  postgres: postgresOptions,
  postgresql: postgresOptions,
  redis: redisOptions,
  rediss: redisOptions,
  valkey: redisOptions,
  sqs: [
    'client',
    'createIfMissing',
    'emptyWindowSeconds',
    'endpoint',
    'region',
    'retrySeconds',
    ...sdkSettings,
  ] satisfies readonly (keyof SqsSettings)[],
}

/** @throws TypeError for an option that queues of a known protocol do not read */
export function checkOptionNames(protocol: string, options: object): void {
  const own = namesOf[protocol]
  if (own === undefined) return
  const known = [...general, ...own]
  const unknown = Object.keys(options).find(name => !known.includes(name))
  if (unknown === undefined) return
  const meant = nearest(unknown, known)
  const shown = known.filter(name => !(sdkSettings as readonly string[]).includes(name))
  const more = protocol === 'sqs' ? ' and the settings of the SQSClient' : ''
  throw new TypeError(
    `Expected options of a ${protocol}:// queue (${shown.join(', ')}${more}), got \`${unknown}\`` +
      (meant === undefined ? '' : `. Did you mean \`${meant}\`?`),
  )
}
