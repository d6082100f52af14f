--
-- Name: category category_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.category
    ADD CONSTRAINT category_pkey PRIMARY KEY (category_id);


--
-- Name: city city_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.city
    ADD CONSTRAINT city_pkey PRIMARY KEY (city_id);


--
-- Name: country country_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.country
    ADD CONSTRAINT country_pkey PRIMARY KEY (country_id);


--
-- Name: customer customer_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.customer
    ADD CONSTRAINT customer_pkey PRIMARY KEY (customer_id);


--
-- Name: order_line order_line_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.order_line
    ADD CONSTRAINT order_line_pkey PRIMARY KEY (order_id, line_no);


--
-- Name: orders orders_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (order_id);


--
-- Name: payment payment_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.payment
    ADD CONSTRAINT payment_pkey PRIMARY KEY (payment_id);


--
-- Name: product product_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.product
    ADD CONSTRAINT product_pkey PRIMARY KEY (product_id);


--
-- Name: review review_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.review
    ADD CONSTRAINT review_pkey PRIMARY KEY (review_id);


--
-- Name: shipment shipment_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.shipment
    ADD CONSTRAINT shipment_pkey PRIMARY KEY (shipment_id);


--
-- Name: city_country_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX city_country_id_idx ON public.city USING btree (country_id);


--
-- Name: customer_city_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX customer_city_id_idx ON public.customer USING btree (city_id);


--
-- Name: customer_country_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX customer_country_id_idx ON public.customer USING btree (country_id);


--
-- Name: order_line_product_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX order_line_product_id_idx ON public.order_line USING btree (product_id);


--
-- Name: orders_coupon_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX orders_coupon_idx ON public.orders USING btree (coupon);


--
-- Name: orders_customer_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX orders_customer_id_idx ON public.orders USING btree (customer_id);


--
-- Name: orders_placed_on_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX orders_placed_on_idx ON public.orders USING btree (placed_on);


--
-- Name: orders_status_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX orders_status_idx ON public.orders USING btree (status);


--
-- Name: payment_amount_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX payment_amount_idx ON public.payment USING btree (amount);


--
-- Name: payment_order_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX payment_order_id_idx ON public.payment USING btree (order_id);


--
-- Name: payment_paid_on_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX payment_paid_on_idx ON public.payment USING btree (paid_on);


--
-- Name: product_brand_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX product_brand_idx ON public.product USING btree (brand);


--
-- Name: product_category_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX product_category_id_idx ON public.product USING btree (category_id);


--
-- Name: review_customer_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX review_customer_id_idx ON public.review USING btree (customer_id);


--
-- Name: review_product_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX review_product_id_idx ON public.review USING btree (product_id);


--
-- Name: shipment_order_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX shipment_order_id_idx ON public.shipment USING btree (order_id);


--
-- Name: shipment_returned_on_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX shipment_returned_on_idx ON public.shipment USING btree (returned_on);


--
-- Name: shipment_shipped_on_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX shipment_shipped_on_idx ON public.shipment USING btree (shipped_on);


--
-- Name: city city_country_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.city
    ADD CONSTRAINT city_country_id_fkey FOREIGN KEY (country_id) REFERENCES public.country(country_id);


--
-- Name: customer customer_city_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.customer
    ADD CONSTRAINT customer_city_id_fkey FOREIGN KEY (city_id) REFERENCES public.city(city_id);


--
-- Name: customer customer_country_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.customer
    ADD CONSTRAINT customer_country_id_fkey FOREIGN KEY (country_id) REFERENCES public.country(country_id);


--
-- Name: order_line order_line_order_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.order_line
    ADD CONSTRAINT order_line_order_id_fkey FOREIGN KEY (order_id) REFERENCES public.orders(order_id);


--
-- Name: order_line order_line_product_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.order_line
    ADD CONSTRAINT order_line_product_id_fkey FOREIGN KEY (product_id) REFERENCES public.product(product_id);


--
-- Name: orders orders_customer_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customer(customer_id);


--
-- Name: payment payment_order_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.payment
    ADD CONSTRAINT payment_order_id_fkey FOREIGN KEY (order_id) REFERENCES public.orders(order_id);


--
-- Name: product product_category_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.product
    ADD CONSTRAINT product_category_id_fkey FOREIGN KEY (category_id) REFERENCES public.category(category_id);


--
-- Name: review review_customer_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.review
    ADD CONSTRAINT review_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customer(customer_id);


--
-- Name: review review_product_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.review
    ADD CONSTRAINT review_product_id_fkey FOREIGN KEY (product_id) REFERENCES public.product(product_id);


--
-- Name: shipment shipment_order_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.shipment
    ADD CONSTRAINT shipment_order_id_fkey FOREIGN KEY (order_id) REFERENCES public.orders(order_id);
