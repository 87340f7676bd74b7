/** Who is signed in, where the server asks for a key or a token: the browser keeps it in a cookie that no script sees. */
import { signal } from './html.js';

/** Whether the server wants to know who asks, and does not. */
export const wanted = signal(false);
/** Who asks; undefined where the server does not want to know. */
export const subject = signal(/** @type {string | undefined} */ (undefined));

/** A call was answered with 401. */
export const refused = () => (wanted.value = true);

/** @param {string} credential @returns {Promise<string>} why it is refused; '' if it is not, and then the page begins anew */
export async function signIn(credential) {
  const headers = { 'Content-Type': 'application/json' };
  const answer = await fetch('/session', { method: 'POST', headers, body: JSON.stringify({ credential }) }).catch(() => null);
  if (answer?.ok) location.reload();
  if (!answer) return 'the server does not answer';
  return answer.ok ? '' : answer.status === 401 ? 'this key is not valid' : 'this is no key';
}

export async function signOut() {
  await fetch('/session', { method: 'DELETE' }).catch(() => null);
  location.reload();
}

fetch('/session').then(
  async (answer) => {
    if (answer.status === 401) wanted.value = true;
    const said = answer.ok ? await answer.json() : {};
    if (said.asks) subject.value = said.subject;
  },
  () => {},
);
