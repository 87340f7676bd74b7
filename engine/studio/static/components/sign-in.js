/** Asks for a key, where the server does not let anybody in without one. */
import { html, useEffect, useRef, useState } from '../html.js';
import { signIn, wanted } from '../session.js';
import { Dialog } from './dialog.js';

export function SignIn() {
  const [problem, setProblem] = useState('');
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => field.current?.focus(), [wanted.value]);
  /** @param {SubmitEvent} event */
  const submit = async (event) => {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.target);
    const credential = String(new FormData(form).get('credential') ?? '').trim();
    setProblem(credential ? await signIn(credential) : 'type or paste a key');
  };
  return html`<${Dialog} title="Sign in" open=${wanted.value} onClose=${() => (wanted.value = false)}>
    <form class="sign-in" onSubmit=${submit}>
      <label for="credential">This server asks for an API key or a token. <code>triveni access add-key</code> makes keys.</label>
      <input ref=${field} id="credential" class="field" name="credential" type="password" autocomplete="current-password" spellcheck=${false} />
      ${problem && html`<p class="problem" role="alert">${problem}</p>`}
      <button class="button main" type="submit">Sign in</button>
    </form>
  <//>`;
}
