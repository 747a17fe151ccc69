(()=>{self.onmessage=()=>{};})();
