/** Reads credentials from the files of this family of tools, which take precedence over the AWS SDK's own chain. */
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { codeOf } from '../../errors/thrown.js'

/** The content of an `aws-secret.json`. */
export interface SecretFile {
  readonly credentials: {
    readonly accessKeyId: string
    readonly secretAccessKey: string
    readonly sessionToken?: string
  }
  readonly region?: string
}

/** In the order in which they are tried, under the home directory. */
const secretFiles = ['.cloudvolume/secrets/aws-secret.json', '.cloudfiles/secrets/aws-secret.json'] as const

/** The names of the places in messages. */
export const secretFilesShown = secretFiles.map(file => `~/${file}`).join(', ')

/**
 * Reads the first `aws-secret.json` that exists, or `undefined`. Nothing is created.
 *
 * @throws Error where a file is there and can't be used; its content is never part of the message
 */
export async function readSecretFile(): Promise<SecretFile | undefined> {
  for (const file of secretFiles) {
    const path = join(homedir(), file)
    const text = await readIfPresent(path)
    if (text !== undefined) return parseSecretFile(path, text)
  }
  return undefined
}

/** A key that was replaced is used for so long at most, unless SQS refuses it before. Milliseconds. */
const rereadMs = 10_000

/**
 * The credentials of an `aws-secret.json`, which may be replaced at any time: read again every few seconds, and at once
 * where SQS refuses them. While the file is gone or half written, those of before stay.
 */
export class FileCredentials {
  #current: SecretFile['credentials']
  #readAtMs = performance.now()
  #reading: Promise<void> | undefined
  /** Changes when other credentials were read. */
  version = 0
  /**
   * For the SDK, which calls it each time that it signs. `memoized` tells the SDK that it need not cache the result;
   * otherwise it would call it once.
   */
  readonly provider = Object.assign(() => this.#get(), { memoized: true })

  /** @param first the credentials in the file when the queue was opened */
  constructor(first: SecretFile['credentials']) {
    this.#current = first
  }

  /** Reads the file now. */
  async read(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    await this.#reading
  }

  async #get(): Promise<SecretFile['credentials']> {
    if (performance.now() - this.#readAtMs > rereadMs) await this.read()
    return this.#current
  }

  async #read(): Promise<void> {
    this.#readAtMs = performance.now()
    // An error in the file matters only if SQS refuses the earlier credentials: then that is the error.
    const secret = await readSecretFile().catch(() => undefined)
    if (secret === undefined || isDeepStrictEqual(secret.credentials, this.#current)) return
    this.#current = secret.credentials
    this.version++
  }
}

async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const code = codeOf(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new Error(`Can't read the AWS credentials in ${path}: make it readable or remove it`, { cause: error })
  }
}

function parseSecretFile(path: string, text: string): SecretFile {
  const values = parseObject(text)
  const accessKeyId = stringOf(values?.AWS_ACCESS_KEY_ID)
  const secretAccessKey = stringOf(values?.AWS_SECRET_ACCESS_KEY)
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw new Error(
      `Expected ${path} to be a JSON object with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: write them, or remove ` +
        `the file to use the AWS SDK's own chain`,
    )
  }
  const sessionToken = stringOf(values?.AWS_SESSION_TOKEN)
  const region = stringOf(values?.AWS_DEFAULT_REGION)
  return {
    credentials: { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) },
    ...(region !== undefined && { region }),
  }
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    // The parser's own message quotes the text, which may contain the secret: the caller describes the error instead.
    return undefined
  }
}

function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
