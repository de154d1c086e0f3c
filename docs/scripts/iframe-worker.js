// Search runs in a worker, which browsers do not start from a file. Where the pages are opened from
// a folder, a hidden frame does a worker's work. MkDocs Material knows it by the name of this file.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    #frame = document.createElement("iframe");
    #waiting = [];
    #isReady = false;

    constructor(url) {
      super();
      this.#frame.hidden = true;
      document.body.append(this.#frame);
      const inside = this.#frame.contentWindow;
      inside.postMessage = (data) => this.#tell(this, data);
      inside.importScripts = async (...scripts) => {
        for (const script of scripts) await this.#load(script);
      };
      this.#load(url).then(() => {
        this.#isReady = true;
        for (const data of this.#waiting.splice(0)) this.#tell(inside, data);
      });
    }

    postMessage(data) {
      if (this.#isReady) this.#tell(this.#frame.contentWindow, data);
      else this.#waiting.push(data);
    }

    terminate() {
      this.#frame.remove();
    }

    #tell(target, data) {
      target.dispatchEvent(new MessageEvent("message", { data }));
    }

    #load(url) {
      const script = this.#frame.contentDocument.createElement("script");
      script.src = new URL(url, document.baseURI).href;
      const loaded = new Promise((done, failed) => {
        script.onload = done;
        script.onerror = failed;
      });
      this.#frame.contentDocument.body.append(script);
      return loaded;
    }
  };
}
