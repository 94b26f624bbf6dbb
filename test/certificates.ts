/** Certificates of the tests of TLS, made by `openssl` in a temporary folder. */
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The reason why no certificates can be made here, for `skip`; `false` if they can. */
export const noOpenssl: string | false =
  spawnSync('openssl', ['version']).status === 0
    ? false
    : 'no openssl on the PATH (Debian: apt-get install openssl), and Node signs no certificates'

export interface Certificates {
  /** The authority that signed the server's certificate. */
  readonly ca: string
  /** Another one, which did not. */
  readonly otherCa: string
  /** Of a server named localhost, and not 127.0.0.1. */
  readonly cert: string
  readonly key: string
}

/** Makes an authority, a server's certificate that it signs, and an authority that has nothing to do with it. Paths of files. */
export function makeCertificates(folder: string): Certificates {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const self = (name: string) =>
    openssl(
      'req',
      '-x509',
      ...newKey,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.crt`,
      '-days',
      '2',
      '-subj',
      `/CN=${name}`,
    )
  self('ca')
  self('other')
  openssl('req', ...newKey, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost')
  writeFileSync(join(folder, 'names'), 'subjectAltName=DNS:localhost\n')
  const signer = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial']
  openssl('x509', '-req', '-in', 'server.csr', ...signer, '-out', 'server.crt', '-days', '2', '-extfile', 'names')
  const key = join(folder, 'server.key')
  // PostgreSQL refuses a key that others may read.
  chmodSync(key, 0o600)
  return { ca: join(folder, 'ca.crt'), otherCa: join(folder, 'other.crt'), cert: join(folder, 'server.crt'), key }
}
